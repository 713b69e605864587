import os


def whole(a):
    return a


class Half:
    def first(self):
        return 1

    def second(self):
        x = self.first(
        return x

    def third(self):
        return 3
