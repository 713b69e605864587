require "json"
require_relative "other"

# Things.
module Things
  # A box.
  class Box < Base
    attr_reader :size

    # Opens it.
    def open(with, force = false)
      [with]
    end

    def self.make = new
    def empty?; end
  end
end

def every(a, b = 1, *rest, c:, d: 2, **more, &block)
  a
end
