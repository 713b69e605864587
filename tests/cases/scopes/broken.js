import fs from "fs";

// Reads.
class Reader {
  open(path) {
    return fs.open(path
  }

  close(handle) {
    const x = handle.;
    return x;
  }
}

function after(a) {
  if (a {
    return a;
}

const last = (b) => {
  return b;
};
