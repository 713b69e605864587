import { A } from "./a";

/** A shape. */
export interface Shape {
  area(): number;
}
export type Name = string | number;
export enum Color { Red }
namespace Inner { export function q(): void {} }
@decorated()
export abstract class Square<T> extends A implements Shape {
  constructor(private x: number) { super(); }
  area(): number { return this.x ** 2; }
  abstract grow(by: number): void;
}
export const load = async (
  url: string,
): Promise<void> => {};
declare function external(x: number): void;

function every(this: Shape, a: number, b?: string, { c }: { c: number } = { c: 1 }, ...rest: string[]): void {}
