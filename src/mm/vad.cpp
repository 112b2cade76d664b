// The tree is boost::intrusive's AVL algorithms over our own nodes. They know nothing of gaps; after each change the
// gaps on the path to the root are computed anew. A rotation leaves every touched node on that path or a child of it,
// so that refreshing each path node's children first is enough; above the rotations the walk ends with the first node
// that comes out as it was. Gaps above 16 GB all count as that: the one in the middle of a space, which nearly every
// insertion makes smaller, would else change every node up to the root.
#include "mm/vad.h"

#include <algorithm>
#include <boost/intrusive/avltree_algorithms.hpp>

#include "base/check.h"

namespace vitrine::mm {
namespace {

struct NodeTraits {
  using node = VadNode;
  using node_ptr = VadNode*;
  using const_node_ptr = const VadNode*;
  using balance = u64;
  static node_ptr get_parent(const_node_ptr n) { return n->parent; }
  static void set_parent(node_ptr n, node_ptr p) { n->parent = p; }
  static node_ptr get_left(const_node_ptr n) { return n->left; }
  static void set_left(node_ptr n, node_ptr l) { n->left = l; }
  static node_ptr get_right(const_node_ptr n) { return n->right; }
  static void set_right(node_ptr n, node_ptr r) { n->right = r; }
  static balance get_balance(const_node_ptr n) { return n->balance_; }
  static void set_balance(node_ptr n, balance b) { n->balance_ = b & 3; }
  static balance negative() { return 0; }
  static balance zero() { return 1; }
  static balance positive() { return 2; }
};
using Tree = boost::intrusive::avltree_algorithms<NodeTraits>;

Vad* as_vad(VadNode* node) { return static_cast<Vad*>(node); }

// A search for more visits every subtree that may hold it: at most 8,192 gaps of 128 TB are as large.
constexpr u64 kLargestToldApart = 16ull << (30 - kPageShift);

u64 gap_start_vpn(const Vad& vad) { return vad.start_vpn_ - vad.gap_before_; }

// Pages of a gap that lie behind its first 64 KB boundary.
u64 granule_gap(const Vad& vad) {
  const u64 first = align_up(gap_start_vpn(vad), kGranulePages);
  return first < vad.start_vpn_ ? vad.start_vpn_ - first : 0;
}

// False: as it was.
bool refresh(Vad& vad) {
  u64 gap = vad.gap_before_;
  u64 granule = granule_gap(vad);
  for (const VadNode* child : {vad.left, vad.right}) {
    if (child == nullptr) continue;
    const Vad& c = static_cast<const Vad&>(*child);
    gap = std::max<u64>(gap, c.largest_gap_);
    granule = std::max<u64>(granule, c.largest_granule_gap_);
  }
  gap = std::min(gap, kLargestToldApart);
  granule = std::min(granule, kLargestToldApart);
  const bool changed = vad.largest_gap_ != gap || vad.largest_granule_gap_ != granule;
  vad.largest_gap_ = gap;
  vad.largest_granule_gap_ = granule;
  return changed;
}

// From `node` to the root, where the tree's shape changed below `unchanged_from` only (null: anywhere).
void refresh_upwards(const VadNode* head, VadNode* node, const VadNode* unchanged_from) {
  bool unchanged = false;
  for (; node != head; node = node->parent) {
    unchanged |= node == unchanged_from;
    if (unchanged) {
      if (!refresh(*as_vad(node))) return;
      continue;
    }
    if (node->left != nullptr) (void)refresh(*as_vad(node->left));
    if (node->right != nullptr) (void)refresh(*as_vad(node->right));
    (void)refresh(*as_vad(node));
  }
}

// Where a range is to be inserted in front of `after` (null: at the end), rotations end at the nearest ancestor that
// leans to one side, for the height of its subtree stays. What lies above it.
const VadNode* above_rotations(VadNode* head, VadNode* after) {
  VadNode* node = after == nullptr ? head->right : after->left == nullptr ? after : Tree::prev_node(after);
  while (node != head && node->balance_ == NodeTraits::zero()) node = node->parent;
  return node == head ? head : node->parent;
}

// The same for a range that is to go, whose place at the bottom hangs from `lowest`: the nearest ancestor that leans to
// neither side stays as high as it is.
const VadNode* above_removal(const VadNode* head, const VadNode* lowest) {
  while (lowest != head && lowest->balance_ != NodeTraits::zero()) lowest = lowest->parent;
  return lowest == head ? head : lowest->parent;
}

// One search for a place. Subtrees whose largest gap is too small are not entered.
struct Search {
  u64 bytes, alignment;
  Va floor, ceiling;

  [[nodiscard]] bool may_hold(const Vad& vad) const {
    const u64 pages = alignment >= kAllocationGranularity ? vad.largest_granule_gap_ : vad.largest_gap_;
    return pages >= std::min(bytes >> kPageShift, kLargestToldApart);
  }
  // The lowest (or highest) fit inside one gap; 0: none.
  [[nodiscard]] Va lowest_in(Va start, Va end) const {
    start = std::max(start, floor);
    end = std::min(end, ceiling);
    if (start >= end) return 0;
    const Va place = align_up(start, alignment);
    return place >= start && place < end && end - place >= bytes ? place : 0;
  }
  [[nodiscard]] Va highest_in(Va start, Va end) const {
    start = std::max(start, floor);
    end = std::min(end, ceiling);
    if (start >= end || end - start < bytes) return 0;
    const Va place = align_down(end - bytes, alignment);
    return place >= start ? place : 0;
  }
  // Recursion is as deep as the tree is high (under 50).
  [[nodiscard]] Va lowest(const Vad* vad) const {
    while (vad != nullptr && may_hold(*vad)) {
      const Va gap_start = gap_start_vpn(*vad) << kPageShift;
      if (vad->start() > floor) {
        if (const Va place = lowest(as_vad(vad->left))) return place;
        if (const Va place = lowest_in(gap_start, vad->start())) return place;
        if (gap_start >= ceiling) return 0;
      }
      vad = as_vad(vad->right);
    }
    return 0;
  }
  [[nodiscard]] Va highest(const Vad* vad) const {
    while (vad != nullptr && may_hold(*vad)) {
      const Va gap_start = gap_start_vpn(*vad) << kPageShift;
      if (gap_start < ceiling) {
        if (const Va place = highest(as_vad(vad->right))) return place;
        if (const Va place = highest_in(gap_start, vad->start())) return place;
        if (vad->start() <= floor) return 0;
      }
      vad = as_vad(vad->left);
    }
    return 0;
  }
};

}  // namespace

VadTree::VadTree(Va lowest, Va highest_plus_one) : lowest_(lowest), highest_(highest_plus_one) {
  VITRINE_CHECK(lowest > 0 && lowest % kAllocationGranularity == 0 && highest_ % kAllocationGranularity == 0);
  VITRINE_CHECK(lowest < highest_ && highest_ <= 1ull << 47);
  Tree::init_header(&head_);
}

VadTree::~VadTree() = default;

Vad* VadTree::root() const { return as_vad(head_.parent); }
Vad* VadTree::first() const { return count_ == 0 ? nullptr : as_vad(head_.left); }
Vad* VadTree::next(const Vad& vad) const {
  VadNode* node = Tree::next_node(const_cast<Vad*>(&vad));
  return node == &head_ ? nullptr : as_vad(node);
}
Vad* VadTree::previous(const Vad& vad) const {
  if (&vad == head_.left) return nullptr;
  return as_vad(Tree::prev_node(const_cast<Vad*>(&vad)));
}

Vad* VadTree::find_at_or_after(Va va) const {
  Vad* best = nullptr;
  for (Vad* here = root(); here != nullptr;) {
    if (va < here->end()) {
      best = here;
      here = as_vad(here->left);
    } else {
      here = as_vad(here->right);
    }
  }
  return best;
}

Vad* VadTree::find(Va va) const {
  if (hint_ != nullptr && hint_->contains(va)) return hint_;
  Vad* found = find_at_or_after(va);
  if (found == nullptr || !found->contains(va)) return nullptr;
  return hint_ = found;
}

bool VadTree::overlaps(Va start, Va end) const {
  const Vad* found = find_at_or_after(start);
  return found != nullptr && found->start() < end;
}

Va VadTree::find_gap(u64 bytes, u64 alignment, SearchFrom from, Va floor, Va ceiling) const {
  floor = std::max(floor, lowest_);
  ceiling = std::min(ceiling, highest_);
  if (bytes == 0 || floor >= ceiling || ceiling - floor < bytes) return 0;
  const Search search{bytes, alignment, floor, ceiling};
  const Va tail = count_ == 0 ? lowest_ : as_vad(head_.right)->end();
  if (from == SearchFrom::bottom) {
    const Va place = search.lowest(root());
    return place != 0 ? place : search.lowest_in(tail, highest_);
  }
  const Va place = search.highest_in(tail, highest_);
  return place != 0 ? place : search.highest(root());
}

void VadTree::refresh_gap(Vad& vad) {
  const Vad* before = previous(vad);
  vad.gap_before_ = vad.start_vpn_ - (before == nullptr ? lowest_ >> kPageShift : before->end_vpn_ + 1);
}

Vad& VadTree::insert(Va start, Va end) {
  VITRINE_CHECK(start % kPageSize == 0 && end % kPageSize == 0 && start >= lowest_ && start < end && end <= highest_);
  Vad* after = find_at_or_after(start);
  VITRINE_CHECK(after == nullptr || after->start() >= end);
  const VadNode* above = count_ == 0 ? nullptr : above_rotations(&head_, after);
  Vad* vad = new_vad();
  vad->start_vpn_ = start >> kPageShift;
  vad->end_vpn_ = (end >> kPageShift) - 1;
  Tree::insert_before(&head_, after == nullptr ? &head_ : after, vad);
  ++count_;
  refresh_gap(*vad);
  if (after != nullptr) {
    refresh_gap(*after);
    refresh_upwards(&head_, after, above);
  }
  refresh_upwards(&head_, vad, above);
  return *vad;
}

void VadTree::erase(Vad& vad) {
  Vad* after = next(vad);
  // The lowest node whose subtree changes: where the node that leaves the bottom hung.
  VadNode* lowest = vad.parent;
  const bool replaced = vad.left != nullptr && vad.right != nullptr;  // by its successor, which takes over its balance
  const VadNode* above = nullptr;
  if (replaced) {
    lowest = after->parent == &vad ? after : after->parent;
    above = above_removal(&head_, after->parent);
    after->largest_gap_ = vad.largest_gap_;  // what its new ancestors know of that place
    after->largest_granule_gap_ = vad.largest_granule_gap_;
  } else {
    above = above_removal(&head_, lowest);
  }
  if (above == &vad) above = after;
  Tree::erase(&head_, &vad);
  --count_;
  if (hint_ == &vad) hint_ = nullptr;
  if (after != nullptr) refresh_gap(*after);
  refresh_upwards(&head_, lowest, above);
  if (after != nullptr) refresh_upwards(&head_, after, after);
  release_vad(&vad);
}

void VadTree::resize(Vad& vad, Va start, Va end) {
  const Vad* before = previous(vad);
  const Vad* behind = next(vad);
  VITRINE_CHECK(start % kPageSize == 0 && end % kPageSize == 0 && start < end);
  VITRINE_CHECK(start >= (before == nullptr ? lowest_ : before->end()));
  VITRINE_CHECK(end <= (behind == nullptr ? highest_ : behind->start()));
  vad.start_vpn_ = start >> kPageShift;
  vad.end_vpn_ = (end >> kPageShift) - 1;
  refresh_gap(vad);
  refresh_upwards(&head_, &vad, &vad);
  if (Vad* after = next(vad)) {
    refresh_gap(*after);
    refresh_upwards(&head_, after, after);
  }
}

Vad* VadTree::new_vad() {
  if (free_ != nullptr) {
    Vad* vad = free_;
    free_ = as_vad(vad->right);
    *vad = Vad{};
    return vad;
  }
  // Small processes get by with one small slab; big ones grow by larger ones.
  const u32 size = slabs_.size() <= 1 ? kFirstSlab : kSlab;
  if (slabs_.empty() || slab_used_ == size) {
    slabs_.push_back(std::make_unique<Vad[]>(slabs_.empty() ? kFirstSlab : kSlab));
    slab_used_ = 0;
  }
  return &slabs_.back()[slab_used_++];
}

void VadTree::release_vad(Vad* vad) {
  vad->right = free_;
  free_ = vad;
}

bool VadTree::is_consistent() const {
  u64 seen = 0;
  Va end = lowest_;
  for (const Vad* vad = first(); vad != nullptr; vad = next(*vad), ++seen) {
    if (vad->start() < end || vad->end() > highest_ || vad->gap_before_ != (vad->start() - end) >> kPageShift)
      return false;
    end = vad->end();
    Vad copy;
    copy.start_vpn_ = vad->start_vpn_;
    copy.gap_before_ = vad->gap_before_;
    copy.left = vad->left;
    copy.right = vad->right;
    refresh(copy);
    if (copy.largest_gap_ != vad->largest_gap_ || copy.largest_granule_gap_ != vad->largest_granule_gap_) return false;
  }
  return seen == count_;
}

u64 VadTree::host_bytes() const {
  if (slabs_.empty()) return 0;
  return (kFirstSlab + (slabs_.size() - 1) * kSlab) * sizeof(Vad) + slabs_.capacity() * sizeof(slabs_[0]);
}

}  // namespace vitrine::mm
