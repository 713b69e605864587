#include <vector>
using std::vector;

namespace shapes {
// A shape.
class Shape : public Base {
public:
    Shape();
    virtual ~Shape() {}
    double area() const { return 1.0; }
    bool operator==(const Shape& other) const { return true; }
};
}

template <typename T>
T largest(const vector<T>& all) { return all[0]; }

int& shapes::Shape::count(int by) { static int n; return n; }
struct Plain { int x; };
enum class Kind { A };
using Number = int;

int every(int a, const T& b, T&& c, int d = 1, std::function<void(int)> f = nullptr) { return 0; }
