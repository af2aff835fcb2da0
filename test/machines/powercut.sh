# powercut.sh: one boot of TestPowerCut, which its test cuts off. Sourced in the
# machine, after boot.sh and badboot.sh.

# does OP COMMAND...: says when a command begins, and when it has ended well.
does() {
  op=$1
  shift
  result "$op" "state=doing"
  mark "doing $op"
  if "$@"; then
    result "$op" "state=done"
  else
    result "$op" "state=failed"
  fi
  mark "done $op"
}

new_app() { inlay sysext download --quiet "file:///payload/$1/app.sysext.raw"; }

take_out() { inlay sysext disable --active "$1" && inlay sysext remove "$1"; }

# powered: boots the node, tells what the last boot has left, and changes one
# extension after the other.
powered() {
  stateful
  number=$(($(cat "$state/number" 2>/dev/null || echo 0) + 1))
  echo "$number" >"$state/number"
  sync "$state/number"
  if [ "$number" = 1 ]; then
    inlay sysext download --quiet file:///payload/steady.sysext.raw && inlay sysext enable --active steady
    new_app first && inlay sysext enable --active app
  fi
  inlay boot --hook script --trials --merge
  boot=$?
  inlay boot good
  good=$?
  inlay boot report --json >/run/report
  app=$(cat /usr/share/inlay-test/app/version 2>/dev/null)
  linked=$(ls /run/extensions | tr '\n' ,)
  seen=
  for folder in /usr/share/inlay-test/*; do
    cat "$folder"/* >/dev/null && seen=$seen${folder##*/},
  done
  result check "boot=$boot good=$good linked=$linked seen=$seen app=$app not=$(grep -c '"result": "[^l]' /run/report) problems=$(grep -c '"problems": \[\|"bad": true' /run/report) disk=$(dmesg | grep -c 'EXT4-fs error') list=$(inlay sysext list >/run/list 2>&1; echo $?)"

  one=one$((number % 3))
  next=first
  [ "$app" != 1 ] || next=second
  result plan "one=$one next=$next"
  for op in remove download enable replace; do
    result $op "state=none"
  done
  mark checked
  if [ -e "/run/extensions/$one.sysext.raw" ]; then
    does remove take_out "$one"
  elif [ -e "/var/lib/kairos/extensions/$one.sysext.raw" ]; then
    # It was not enabled any more, or not yet.
    inlay sysext remove "$one"
  fi
  does download inlay sysext download --quiet "file:///payload/$one.sysext.raw"
  does enable inlay sysext enable --active "$one"
  does replace new_app "$next"
  sleep 60
}
