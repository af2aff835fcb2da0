#!/bin/sh
# Placed by inlay boot install: links the extensions of the system in $NEWROOT.
'{{.Program}}' boot --root "$NEWROOT" --hook dracut{{.Trials}} || :
