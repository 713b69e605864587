import { a } from "./a";

export class Store<T> {
  private items: T[] = [;

  add(item: T): void {
    this.items.push(item
  }

  get size(): number {
    return this.items.length;
  }
}

export function half(a: number, b: {
  return a;
}

interface Shape {
  area(): number;
}
