import React from "react";

// Shows a name.
export const Hello = ({ name }: { name: string }) => <b>{name}</b>;
export default function App() { return <Hello name="x" />; }

const Pair = ({ left, right }: Props, key?: string) => <div />;
