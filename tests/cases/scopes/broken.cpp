#include <vector>

namespace shapes {

class Shape {
 public:
  double area() const {
    return width * (height;
  }

  void grow(int by) {
    width += ;
  }
};

template <typename T>
T largest(const std::vector<T>& all) {
  for (auto& one : all {
    one;
  }
}

}  // namespace shapes
