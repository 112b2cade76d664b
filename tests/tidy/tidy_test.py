#!/usr/bin/env python3
"""Tests of tools/tidy: each rule on a sample that breaks it and on one that keeps it."""

import importlib.machinery
import importlib.util
import pathlib
import sys
import tempfile
import textwrap
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
loader = importlib.machinery.SourceFileLoader("tidy", str(ROOT / "tools" / "tidy"))
tidy = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", loader))
sys.modules["tidy"] = tidy
loader.exec_module(tidy)

ORDER = ["base", "sim", "cpu", "ke", "mm", "vitrine", "tools"]


def rules_of(path: str, text: str) -> set[str]:
    return {violation.rule for violation in tidy.check_source(tidy.Source(path, textwrap.dedent(text)), ORDER)}


def body(lines: int) -> str:
    return "\n".join(f"  step({n});" for n in range(lines))


class Layers(unittest.TestCase):
    def test_a_folder_may_include_itself_and_earlier_ones(self):
        self.assertEqual(rules_of("src/ke/a.cpp", '#include "ke/a.h"\n#include "base/types.h"\n#include <vector>\n'), set())

    def test_a_folder_may_not_include_a_later_one(self):
        self.assertEqual(rules_of("src/ke/a.cpp", '#include "mm/pfn.h"\n'), {"layer"})

    def test_sub_folders_belong_to_their_library(self):
        self.assertEqual(rules_of("src/cpu/translator/a.cpp", '#include "ke/a.h"\n'), {"layer"})
        self.assertEqual(rules_of("src/ke/deep/a.cpp", '#include "cpu/translator/b.h"\n'), set())

    def test_includes_are_written_from_src(self):
        self.assertEqual(rules_of("src/ke/a.cpp", '#include "a.h"\n'), {"layer"})
        self.assertEqual(rules_of("src/ke/a.cpp", '#include "../mm/a.h"\n'), {"layer"})

    def test_a_folder_must_be_in_the_order(self):
        self.assertEqual(rules_of("src/extra/a.cpp", "\n"), {"layer"})

    def test_tests_may_include_anything(self):
        self.assertEqual(rules_of("tests/unit/base/a_test.cpp", '#include "tools/size.h"\n'), set())


class Sizes(unittest.TestCase):
    def test_a_source_of_600_lines_passes_and_of_601_does_not(self):
        self.assertEqual(rules_of("src/ke/a.cpp", "\n" * 600), set())
        self.assertEqual(rules_of("src/ke/a.cpp", "\n" * 601), {"file-size"})

    def test_a_header_of_350_lines_passes_and_of_351_does_not(self):
        self.assertEqual(rules_of("src/ke/a.h", "#pragma once\n" + "\n" * 349), set())
        self.assertEqual(rules_of("src/ke/a.h", "#pragma once\n" + "\n" * 350), {"file-size"})

    def test_a_function_of_70_lines_passes_and_of_71_does_not(self):
        self.assertEqual(rules_of("src/ke/a.cpp", f"void f() {{\n{body(68)}\n}}\n"), set())
        self.assertEqual(rules_of("src/ke/a.cpp", f"void f() {{\n{body(69)}\n}}\n"), {"function-size"})

    def test_the_whole_head_counts(self):
        head = "[[nodiscard]] static Result<int> Type::name(int a,\n    int b) const\n    noexcept {\n"
        self.assertEqual(rules_of("src/ke/a.cpp", f"{head}{body(66)}\n}}\n"), set())
        self.assertEqual(rules_of("src/ke/a.cpp", f"{head}{body(67)}\n}}\n"), {"function-size"})

    def test_a_member_function_in_a_class_in_a_namespace_is_found(self):
        text = f"namespace a::b {{\nclass C : public D {{\n public:\n  int f() const override {{\n{body(80)}\n  }}\n}};\n}}\n"
        self.assertEqual(rules_of("src/ke/a.cpp", text), {"function-size"})

    def test_a_long_class_or_table_is_no_function(self):
        members = "\n".join(f"  int m{n}_ = 0;" for n in range(100))
        self.assertEqual(rules_of("src/ke/a.cpp", f"class C {{\n{members}\n}};\n"), set())
        rows = "\n".join(f"  {{{n}, make({n})}}," for n in range(100))
        self.assertEqual(rules_of("src/ke/a.cpp", f"constexpr Row kRows[] = {{\n{rows}\n}};\n"), set())

    def test_a_constructor_with_an_initialiser_list_is_one_function(self):
        text = f"Thing::Thing(int a) : a_(a), b_{{a}}, c_(f(a)) {{\n{body(75)}\n}}\n"
        self.assertIn("function-size", rules_of("src/ke/a.cpp", text))

    def test_a_lambda_counts_as_part_of_its_function(self):
        text = f"void f() {{\n  auto g = [&] {{\n{body(75)}\n  }};\n  g();\n}}\n"
        self.assertEqual(rules_of("src/ke/a.cpp", text), {"function-size"})

    def test_braces_in_strings_comments_and_characters_do_not_count(self):
        text = f"void f() {{\n  g(\"}}\"); // }}\n  h('}}'); /* }} */ k(R\"(}})\");\n{body(70)}\n}}\n"
        self.assertEqual(rules_of("src/ke/a.cpp", text), {"function-size"})


class BannedCalls(unittest.TestCase):
    def test_host_time_is_for_sim_and_tools(self):
        for call in ("clock_gettime(CLOCK_MONOTONIC, &t);", "auto t = std::chrono::steady_clock::now();", "auto t = time(nullptr);",
                     "gettimeofday(&t, nullptr);", "auto t = __rdtsc();"):
            text = f"void f() {{\n  {call}\n}}\n"
            self.assertEqual(rules_of("src/ke/a.cpp", text), {"host-time"}, call)
            self.assertEqual(rules_of("src/sim/a.cpp", text), set(), call)

    def test_our_own_names_are_no_host_time(self):
        text = "void f() {\n  clock.time();\n  system_time(now);\n  x.rand();\n  std::chrono::milliseconds(5);\n  time(processor);\n}\n"
        self.assertEqual(rules_of("src/ke/a.cpp", text), set())

    def test_host_entropy_is_for_sim_and_tools(self):
        for call in ("std::random_device d;", "getrandom(p, 8, 0);", "int x = rand();", 'open("/dev/urandom", 0);'):
            self.assertEqual(rules_of("src/mm/a.cpp", f"void f() {{\n  {call}\n}}\n"), {"host-entropy"}, call)

    def test_the_environment_is_for_tools(self):
        text = 'void f() {\n  getenv("HOME");\n}\n'
        self.assertEqual(rules_of("src/mm/a.cpp", text), {"host-environment"})
        self.assertEqual(rules_of("src/tools/a.cpp", text), set())

    def test_host_threads_are_not_for_the_kernel(self):
        self.assertEqual(rules_of("src/ke/a.cpp", "void f() {\n  std::mutex lock;\n}\n"), {"host-threads"})

    def test_a_comment_may_speak_of_them(self):
        self.assertEqual(rules_of("src/ke/a.cpp", "// never clock_gettime, std::random_device or getenv()\n"), set())

    def test_an_allowance_names_rule_and_reason(self):
        line = "std::chrono::steady_clock::now();"
        self.assertEqual(rules_of("src/ke/a.cpp", f"void f() {{\n  {line}  // tidy: allow host-time: a test seam\n}}\n"), set())
        self.assertEqual(rules_of("src/ke/a.cpp", f"void f() {{\n  {line}  // tidy: allow host-time:\n}}\n"), {"host-time"})
        self.assertEqual(rules_of("src/ke/a.cpp", f"void f() {{\n  {line}  // tidy: allow global: wrong rule\n}}\n"), {"host-time"})

    def test_unordered_containers_are_for_look_ups_in_cpu(self):
        member = "class A {\n  std::unordered_map<int, int> blocks_;\n};\n"
        self.assertEqual(rules_of("src/ke/a.cpp", member), {"unordered"})
        self.assertEqual(rules_of("src/cpu/a.cpp", member), set())

    def test_iteration_over_one_is_for_nobody(self):
        text = "std::unordered_map<int, int> blocks_;\nvoid f() {\n  for (auto& entry : blocks_) use(entry);\n}\n"
        self.assertIn("unordered", rules_of("src/cpu/a.cpp", text))


class Names(unittest.TestCase):
    def test_files_are_snake_case(self):
        self.assertEqual(rules_of("src/ke/wait_block.cpp", "\n"), set())
        self.assertEqual(rules_of("src/ke/WaitBlock.cpp", "\n"), {"file-name"})
        self.assertEqual(rules_of("tests/unit/ke/wait-test.cpp", "\n"), {"file-name"})

    def test_types_are_camel_case(self):
        self.assertEqual(rules_of("src/ke/a.cpp", "struct wait_block {\n};\n"), {"type-name"})
        self.assertEqual(rules_of("src/ke/a.cpp", "enum class State : u8 {\n};\nclass WaitBlock final : public Base {\n};\n"), set())
        self.assertEqual(rules_of("src/ke/a.cpp", "struct timespec when{};\n"), set())

    def test_functions_are_snake_case(self):
        self.assertEqual(rules_of("src/ke/a.cpp", "void WaitForIt() {\n}\n"), {"function-name"})
        self.assertEqual(rules_of("src/ke/a.cpp", "int A::wait_for_it() {\n}\nA::A(int x) : x_(x) {\n}\nA::~A() {\n}\n"), set())
        self.assertEqual(rules_of("src/ke/a.cpp", "struct Outer::State {\n  State(int a) {}\n};\n"), set())


class Headers(unittest.TestCase):
    def test_pragma_once(self):
        self.assertEqual(rules_of("src/ke/a.h", "int f();\n"), {"pragma-once"})

    def test_using_namespace(self):
        self.assertEqual(rules_of("src/ke/a.h", "#pragma once\nusing namespace std;\n"), {"using-namespace"})


class Globals(unittest.TestCase):
    def test_a_mutable_variable_at_namespace_scope(self):
        for line in ("int counter = 0;", "static std::vector<int> all;", "std::atomic<bool> g_stop{false};", "thread_local Thing* current;"):
            self.assertEqual(rules_of("src/ke/a.cpp", f"namespace a {{\n{line}\n}}\n"), {"global"}, line)

    def test_constants_functions_and_types_are_none(self):
        for line in ("constexpr int kLimit = 3;", "const Table kTable{1};", "int f(int a);", "using A = B;", "class Forward;",
                     "static_assert(sizeof(A) == 4);", "Status Thing::wait(int a);", "return x;"):
            self.assertEqual(rules_of("src/ke/a.cpp", f"namespace a {{\n{line}\n}}\n"), set(), line)


class Words(unittest.TestCase):
    def test_words_of_unfinished_work(self):
        for word in ("TO" + "DO", "FIX" + "ME", "HA" + "CK", "XX" + "X"):
            self.assertEqual(rules_of("docs/a.md", f"{word}: later\n"), {"word"})
        self.assertEqual(rules_of("docs/a.md", "a shack, todo-lists\n"), set())

    def test_paths_of_one_machine(self):
        self.assertEqual(rules_of("docs/a.md", "see /ho" + "me/me/vitrine\n"), {"machine-path"})
        self.assertEqual(rules_of("docs/a.md", "see /usr/share/wine and https://example.org/work/\n"), set())


class Trees(unittest.TestCase):
    def make(self, folder: pathlib.Path, files: dict[str, str]):
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    def test_order_comes_from_the_build_and_folders_need_a_readme(self):
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name).resolve()
            self.make(root, {
                "src/CMakeLists.txt": "vitrine_library(base)\nvitrine_library(ke DEPENDS base)\n",
                "src/base/a.h": '#pragma once\n#include "ke/b.h"\n', "src/base/README.md": "base\n",
                "src/ke/b.h": "#pragma once\n",
            })
            self.assertEqual(tidy.layer_order(root), ["base", "ke", "tools"])
            found = {(v.path, v.rule) for v in tidy.check_tree(root)}
            self.assertEqual(found, {("src/base/a.h", "layer"), ("src/ke", "readme")})

    def test_the_architecture_page_lists_the_folders_in_order(self):
        for page, expected in (("    base/     a\n    ke/       b\n    tools/    c\n", set()),
                               ("    ke/       b\n    base/     a\n    tools/    c\n", {"architecture"}),
                               ("    base/     a\n    tools/    c\n", {"architecture"})):
            with tempfile.TemporaryDirectory() as name:
                root = pathlib.Path(name).resolve()
                self.make(root, {"src/CMakeLists.txt": "vitrine_library(base)\nvitrine_library(ke DEPENDS base)\n",
                                 "docs/ARCHITECTURE.md": page})
                self.assertEqual({v.rule for v in tidy.check_tree(root)}, expected)

    def test_every_rule_is_described(self):
        text = (ROOT / "tools" / "tidy").read_text()
        for rule in tidy.RULES:
            self.assertGreaterEqual(text.count(f'"{rule}"'), 2, rule)


if __name__ == "__main__":
    unittest.main()
