# A pipe that is filled in pieces, slowly.
{
  printf '%s\n' "$3"
  n=0
  while [ $n -lt 20 ]; do
    printf 'bo'
    sleep 0.01
    printf 'b: %s' $n
    sleep 0.01
    printf ' bob: hi\n'
    n=$((n + 1))
  done
} | nc.openbsd -N "$1" "$2"
