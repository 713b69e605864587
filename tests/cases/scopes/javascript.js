// file comment
import a from "b";
const fs = require("fs");

/**
 * Adds.
 * @param {number} x
 */
export function add(x, y = 1) { return x + y; }

const twice = (x) => {
  return add(x, x);
};

export class Queue extends Base {
  #items = [];
  // Puts one in.
  push(item) { this.#items.push(item); }
  static of(...items) { return new Queue(items); }
  handler = () => 1;
}
module.exports.late = function (a) { return a; };

function every(a, b = 1, { c, d }, [e], ...rest) {}
const single = x => x;
