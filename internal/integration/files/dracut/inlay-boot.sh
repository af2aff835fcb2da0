#!/bin/sh
# Placed by inlay boot install: links the extensions of the system in $NEWROOT.
'@PROGRAM@' boot --root "$NEWROOT" --hook dracut@TRIALS@ || :
