// A doubly linked list whose links live inside the elements: no allocation, O(1) removal from the middle, and the order
// is the insertion order. The list does not own its elements; an element's destructor does not unlink it, but
// checks that it is unlinked.
#pragma once

#include <cstddef>

#include "base/check.h"

namespace vitrine {

struct ListLink {
  ListLink* next = nullptr;
  ListLink* previous = nullptr;

  ListLink() = default;
  ListLink(const ListLink&) = delete;
  ListLink& operator=(const ListLink&) = delete;
  ~ListLink() { VITRINE_CHECK(next == nullptr); }

  [[nodiscard]] bool is_linked() const { return next != nullptr; }
  // Precondition: linked. O(1).
  void unlink() {
    VITRINE_CHECK(next != nullptr);
    previous->next = next;
    next->previous = previous;
    next = previous = nullptr;
  }
};

// `Member` is the ListLink inside T: IntrusiveList<Thread, &Thread::ready_link>.
template <typename T, ListLink T::* Member>
class IntrusiveList {
 public:
  IntrusiveList() { head_.next = head_.previous = &head_; }
  ~IntrusiveList() { head_.next = head_.previous = nullptr; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  [[nodiscard]] bool empty() const { return head_.next == &head_; }
  [[nodiscard]] T* front() const { return empty() ? nullptr : owner(head_.next); }
  [[nodiscard]] T* back() const { return empty() ? nullptr : owner(head_.previous); }

  void push_back(T& element) { insert_before(&head_, &(element.*Member)); }
  void push_front(T& element) { insert_before(head_.next, &(element.*Member)); }
  void insert_before(T& position, T& element) { insert_before(&(position.*Member), &(element.*Member)); }

  T* pop_front() {
    T* element = front();
    if (element != nullptr) (element->*Member).unlink();
    return element;
  }
  T* pop_back() {
    T* element = back();
    if (element != nullptr) (element->*Member).unlink();
    return element;
  }
  [[nodiscard]] T* next(const T& element) const {
    ListLink* link = (element.*Member).next;
    return link == &head_ ? nullptr : owner(link);
  }
  [[nodiscard]] T* previous(const T& element) const {
    ListLink* link = (element.*Member).previous;
    return link == &head_ ? nullptr : owner(link);
  }

  class Iterator {
   public:
    Iterator(const IntrusiveList* list, ListLink* link) : list_(list), link_(link) {}
    T& operator*() const { return *owner(link_); }
    T* operator->() const { return owner(link_); }
    Iterator& operator++() { link_ = link_->next; return *this; }
    bool operator==(const Iterator& other) const { return link_ == other.link_; }

   private:
    const IntrusiveList* list_;
    ListLink* link_;
  };
  [[nodiscard]] Iterator begin() const { return {this, head_.next}; }
  [[nodiscard]] Iterator end() const { return {this, const_cast<ListLink*>(&head_)}; }

 private:
  static T* owner(ListLink* link) {
    const auto offset = reinterpret_cast<std::size_t>(&(static_cast<T*>(nullptr)->*Member));
    return reinterpret_cast<T*>(reinterpret_cast<char*>(link) - offset);
  }
  static void insert_before(ListLink* position, ListLink* link) {
    VITRINE_CHECK(!link->is_linked());
    link->next = position;
    link->previous = position->previous;
    position->previous->next = link;
    position->previous = link;
  }

  ListLink head_;
};

}  // namespace vitrine
