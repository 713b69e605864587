#!/bin/bash
source ./lib.sh
. other.sh

# Greets.
greet() {
  echo "hi $1"
}
function leave { exit; }
