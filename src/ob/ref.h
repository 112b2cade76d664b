// Ref<T>: an owned pointer reference to an object. T derives from ob::Object. Letting go of the last one deletes the
// object (ObjectManager's deferred deletion makes sure that chains of objects do not recurse).
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace vitrine::ob {

class Object;
// ObReferenceObject and ObDereferenceObject. Never suspend.
void reference(Object& object);
void dereference(Object& object);

template <typename T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}  // NOLINT: null is a Ref
  // Takes a reference of its own.
  explicit Ref(T& object) : object_(&object) { reference(*object_); }
  explicit Ref(T* object) : object_(object) {
    if (object_ != nullptr) reference(*object_);
  }
  // Takes over a reference that the caller holds.
  [[nodiscard]] static Ref adopt(T* object) {
    Ref ref;
    ref.object_ = object;
    return ref;
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <typename U>
    requires(!std::is_same_v<T, U> && std::is_base_of_v<T, U>)
  Ref(Ref<U> other) : object_(other.release()) {}  // NOLINT: to a base, implicitly
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() { reset(); }

  void reset() {
    if (T* object = std::exchange(object_, nullptr)) dereference(*object);
  }
  // Gives the reference to the caller, who must dereference.
  [[nodiscard]] T* release() { return std::exchange(object_, nullptr); }
  [[nodiscard]] T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  [[nodiscard]] explicit operator bool() const { return object_ != nullptr; }
  bool operator==(const Ref& other) const { return object_ == other.object_; }

 private:
  T* object_ = nullptr;
};

// Precondition: the object is a T (its type says so).
template <typename T, typename U>
[[nodiscard]] Ref<T> ref_cast(Ref<U> object) {
  return Ref<T>::adopt(static_cast<T*>(object.release()));
}

}  // namespace vitrine::ob
