import React from "react";

export function Hello({ name }: Props) {
  return <div>{name</div>;
}

export const App = (props: Props) => {
  return <Hello name="a" />;
};
