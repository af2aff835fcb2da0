# modules.sh VERSION MODULE...: puts the modules and what they depend on from
# /kernel into /image, uncompressed, which spares the slow machine the work.
version=$1
shift
mkdir -p /usr/lib/modules
cp -a /kernel "/usr/lib/modules/$version"
depmod "$version"
target=/image/usr/lib/modules/$version
mkdir -p "$target"
cp -a "/kernel/modules.builtin" "/kernel/modules.builtin.modinfo" "/kernel/modules.order" "$target"
for module in "$@"; do
  modprobe --set-version "$version" --show-depends "$module"
done | sed -n 's/^insmod [^ ]*\/kernel\/\([^ ]*\)\.xz.*/\1/p' | sort -u | while read -r file; do
  mkdir -p "$target/kernel/$(dirname "$file")"
  xz -dc "/kernel/kernel/$file.xz" >"$target/kernel/$file"
done
depmod --basedir /image "$version"
