#include "io/name_rules.h"

#include <algorithm>

#include "ex/unicode.h"

namespace vitrine::io {

bool is_legal_component(std::u16string_view component) {
  if (component.empty() || component.size() > kMaximumComponentUnits) return false;
  if (component == u"." || component == u"..") return false;
  constexpr std::u16string_view kForbidden = u"\"*/:<>?|\\";
  return std::ranges::none_of(component,
                              [&](char16_t unit) { return unit < 0x20 || kForbidden.find(unit) != kForbidden.npos; });
}

Result<SplitPath> split_path(std::u16string_view path) {
  SplitPath result;
  if (path.starts_with(u'\\')) path.remove_prefix(1);
  while (!path.empty()) {
    const std::size_t end = path.find(u'\\');
    const std::u16string_view component = path.substr(0, end);
    if (!is_legal_component(component)) return Failure(Status::object_name_invalid);
    result.components.push_back(component);
    if (end == path.npos) return result;
    path.remove_prefix(end + 1);
    result.trailing_backslash = path.empty();
  }
  return result;
}

namespace {

constexpr char16_t kDosStar = u'<', kDosQuestionMark = u'>', kDosDot = u'"';

// A set of positions in the pattern: the expression as a nondeterministic automaton.
class Matcher {
 public:
  Matcher(std::u16string_view pattern, std::u16string_view name)
      : pattern_(pattern), now_(pattern.size() + 1), next_(pattern.size() + 1) {
    last_dot_ = name.rfind(u'.');
  }

  bool run(std::u16string_view name) {
    now_[0] = true;
    for (std::size_t at = 0; at < name.size(); ++at) {
      std::fill(next_.begin(), next_.end(), false);
      bool alive = false;
      for (std::size_t i = 0; i < pattern_.size(); ++i) {
        if (now_[i]) alive |= step(i, name[at], at);
      }
      if (!alive) return false;
      std::swap(now_, next_);
    }
    for (std::size_t i = 0; i < pattern_.size(); ++i) {
      if (now_[i] && may_be_empty_at_end(pattern_[i])) now_[i + 1] = true;
    }
    return now_[pattern_.size()];
  }

 private:
  static bool may_be_empty_at_end(char16_t symbol) {
    return symbol == u'*' || symbol == kDosStar || symbol == kDosQuestionMark || symbol == kDosDot;
  }
  bool mark(std::size_t position) {
    next_[position] = true;
    return true;
  }
  // What position `i` does with one unit; moves without a unit go forward in now_, which is walked left to right.
  bool step(std::size_t i, char16_t unit, std::size_t at) {
    switch (pattern_[i]) {
      case u'*':
        now_[i + 1] = true;
        return mark(i);
      case kDosStar:
        now_[i + 1] = true;
        return unit == u'.' && at == last_dot_ ? false : mark(i);
      case kDosQuestionMark:
        if (unit != u'.') return mark(i + 1);
        now_[i + 1] = true;
        return false;
      case kDosDot:
        return unit == u'.' ? mark(i + 1) : false;
      case u'?':
        return mark(i + 1);
      default:
        return ex::upcase(pattern_[i]) == ex::upcase(unit) ? mark(i + 1) : false;
    }
  }

  std::u16string_view pattern_;
  std::size_t last_dot_;
  std::vector<bool> now_, next_;
};

}  // namespace

bool matches_expression(std::u16string_view pattern, std::u16string_view name) {
  if (pattern == u"*") return true;
  return Matcher(pattern, name).run(name);
}

}  // namespace vitrine::io
