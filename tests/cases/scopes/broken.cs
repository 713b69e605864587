using System;

namespace A
{
    class Box
    {
        public int Open(int a)
        {
            return Call(a;
        }

        /// Shuts.
        public void Close(string b)
        {
            var y = ;
            if (b {
            }
        }
    }
