source ./lib.sh

greet() {
  if [ "$1" = x ]; then
    echo "hello
}

after() {
  echo $(ls
}
