package x;

import java.util.List;

/**
 * A box.
 */
public class Box<T> extends Base {
    private T value;
    public Box(T value) { this.value = value; }
    // Gets it.
    @Override
    public T get(int a,
                 int b) throws Error { return value; }
    interface Visitor { void visit(Box<?> box); }
    enum Kind { A }
    record Pair(int a, int b) {}
}

class Every {
    void every(final int a, List<String> b, int[] c, String... rest) {}
}
