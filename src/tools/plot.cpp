#include "tools/plot.h"

#include <fmt/format.h>

#include "tools/external.h"

namespace vitrine::tools {
namespace {

constexpr std::size_t kColumns = 2;
constexpr unsigned kPanelWidth = 560, kPanelHeight = 380;  // pixels

// gnuplot's single quotes take everything but themselves.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("''") : std::string(1, c);
  return result + "'";
}

std::string panel_script(const Panel& panel, std::size_t number) {
  std::string script;
  for (std::size_t i = 0; i < panel.curves.size(); ++i) {
    script += fmt::format("$d{}_{} << EOD\n", number, i);
    for (const auto& [x, y] : panel.curves[i].points) script += fmt::format("{:.10g} {:.10g}\n", x, y);
    script += "EOD\n";
  }
  script += fmt::format("set title {}\nset xlabel {}\nset ylabel {}\n", quoted(panel.title), quoted(panel.x),
                        quoted(panel.y));
  script += panel.y_scale == Scale::logarithmic ? "set logscale y\nset autoscale y\n"
                                                : "unset logscale y\nset yrange [0:*]\n";
  script += "plot ";
  for (std::size_t i = 0; i < panel.curves.size(); ++i) {
    script += fmt::format("{}$d{}_{} using 1:2 with lines linewidth 2 title {}", i == 0 ? "" : ", ", number, i,
                          quoted(panel.curves[i].title));
  }
  return script + "\n";
}

}  // namespace

std::expected<void, std::string> check_picture(const std::string& option, const std::string& path) {
  if (path.empty() || path.ends_with(".svg") || path.ends_with(".png")) return {};
  return std::unexpected(fmt::format("{} {}: give a file that ends in .svg or .png", option, path));
}

std::expected<void, std::string> draw_panels(const std::string& path, const std::vector<Panel>& panels) {
  const std::size_t columns = std::min(kColumns, panels.size()), rows = (panels.size() + columns - 1) / columns;
  std::string script = fmt::format("set terminal {} size {},{} font 'Helvetica,11' background 'white'\nset output {}\n",
                                   path.ends_with(".png") ? "pngcairo" : "svg", columns * kPanelWidth,
                                   rows * kPanelHeight, quoted(path));
  script += fmt::format("set multiplot layout {},{}\nset grid\nset key below noenhanced\n", rows, columns);
  script += "set xrange [0:*]\nset format x '%.0s%c'\nset style data lines\nset encoding utf8\nset tics nomirror\n";
  std::size_t number = 0;
  for (const Panel& panel : panels) script += panel_script(panel, number++);
  script += "unset multiplot\n";
  return run_external({"gnuplot", "-"}, script, "gnuplot-nox");
}

}  // namespace vitrine::tools
