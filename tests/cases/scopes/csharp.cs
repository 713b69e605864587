using System;

namespace A.B
{
    /// <summary>A box.</summary>
    [Serializable]
    public class Box<T> : IBox
    {
        public Box(int x) { }
        public int Size { get; set; }
        public static int Twice(int a) => a * 2;
        public void Outer() { void Local() { } Local(); }
        interface IInner { void Go(); }
    }
    struct S { }
    enum E { A }
    record R(int A);
}

class Every(int first)
{
    void All(int a, ref string b, out int c, int d = 1, params object[] rest) { }
}
