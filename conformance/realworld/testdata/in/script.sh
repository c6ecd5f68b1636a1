#!/bin/bash
# Rotates what was left behind.
set -eu
declare -A seen=([a]=1 [b]=2)
function rotate { local dir=$1 keep=${2:-7}
for f in "$dir"/*.log ; do
 [[ -f $f && $f != *.gz ]] || continue
   case "$f" in *error*) gzip -9 "$f" ;;
 *) (( seen[${f##*/}]++ )) && rm -- "$f" ||true ;; esac
done
 }
while read -r line;do echo "${line^^}" | tr -d '\r' >>out.txt 2>&1;done < <(sort -u in.txt)
cat <<EOF
	$(date +%Y) ${seen[@]} `whoami`
EOF
if rotate /var/log 3;then echo ok;else echo "failed: $?";exit 1;fi
