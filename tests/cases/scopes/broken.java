import java.util.List;

class Box {
    private int x;

    int open(int a) {
        return call(a;
    }

    /** Shuts. */
    void close(String b) {
        int y = ;
        if (b {
            return;
        }
    }
}

class Other {
    void last() {
    }
