// Plots of an experiment: panels of curves, drawn by gnuplot into an SVG or a PNG.
#pragma once

#include <expected>
#include <string>
#include <utility>
#include <vector>

namespace vitrine::tools {

struct Curve {
  std::string title;
  std::vector<std::pair<double, double>> points;
};
enum class Scale : unsigned char { linear, logarithmic };
struct Panel {
  std::string title, x, y;
  Scale y_scale = Scale::linear;
  std::vector<Curve> curves;
};

// `path` ends in .svg or .png; two panels stand side by side. The error is one line for the user.
[[nodiscard]] std::expected<void, std::string> draw_panels(const std::string& path, const std::vector<Panel>& panels);
// Whether `path` is one that can be drawn, before anything is measured. The error names the option.
[[nodiscard]] std::expected<void, std::string> check_picture(const std::string& option, const std::string& path);

}  // namespace vitrine::tools
