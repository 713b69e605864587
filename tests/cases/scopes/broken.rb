require "set"

class Reader
  def open(path)
    File.open(path
  end

  def close
    [1, 2
  end
end

def after(a)
  if a
    1
end
