# badboot.sh: the boots of TestBadBoot. Sourced in the machine, after boot.sh, once
# for each boot: what has to last lies on the state disk.

# stateful: lays out a node whose root nobody writes to, and which keeps its state on
# the disk for that.
stateful() {
  PATH=/payload:$PATH
  mount -t tmpfs tmpfs /var/lib
  mount -t tmpfs tmpfs /etc/verity.d
  mkdir /run/state /var/lib/kairos
  state=/run/state
  mount "$(disk state)" "$state"
  mkdir -p "$state/kairos"
  mount --bind "$state/kairos" /var/lib/kairos
  trust signer.pem
}

# boot: boots the node, and marks the boot good if every extension's own check says
# so, as boot-complete.target does.
boot() {
  inlay boot --hook script --trials --merge
  verdict=good
  for check in /usr/lib/inlay-test/checks/*; do
    [ ! -e "$check" ] || sh "$check" || verdict=bad
  done
  seen=$(ls /usr/share/inlay-test 2>/dev/null | tr '\n' ,)
  result "$number" "verdict=$verdict seen=$seen app=$(cat /usr/share/inlay-test/app/version 2>/dev/null)"
  told "$number-report" inlay boot report --json
  told "$number-text" inlay boot report
  told "$number-broken" inlay sysext explain broken
  told "$number-log" cat /run/immucore/inlay.log
  cp /run/answers/* "$state/answers"
  [ "$verdict" = bad ] || inlay boot good
}

# again: starts the machine anew, without a word to anybody.
again() {
  sync
  echo b >/proc/sysrq-trigger
  sleep 30
}

new() {
  inlay sysext download --quiet "file:///payload/$1/$2.sysext.raw" && inlay sysext enable --active "$2"
}

boots() {
  stateful
  mkdir -p "$state/answers"
  number=$(($(cat "$state/number" 2>/dev/null || echo 0) + 1))
  echo "$number" >"$state/number"
  case $number in
  1)
    new first app && new first neighbour
    boot
    # The node is good, and then somebody makes it better.
    new second app && new first broken
    again
    ;;
  2 | 4)
    boot
    again
    ;;
  3)
    # One that doesn't get far enough to be looked at.
    inlay boot --hook script --trials --merge
    result 3 "verdict=none seen=$(ls /usr/share/inlay-test | tr '\n' ,)"
    echo b >/proc/sysrq-trigger
    sleep 30
    ;;
  5)
    boot
    again
    ;;
  6)
    # It stays as it is, until somebody does something about it.
    boot
    new third app && inlay sysext enable --active broken
    again
    ;;
  7)
    boot
    cp "$state"/answers/* /run/answers
    answer
    ;;
  esac
}
