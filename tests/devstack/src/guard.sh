# Stays behind when its starter dies. Each line on standard input adds (+) or drops (-) a thing to clean up:
# a folder (/path) or a process group with the signal that ends it (QUIT:123). When the input closes, whatever
# killed the starter, the groups are ended and then the folders removed.
trap '' INT TERM HUP QUIT
things=
while read -r verb thing; do
    case $verb in
        +) things="$things $thing" ;;
        -)
            kept=
            for t in $things; do [ "$t" = "$thing" ] || kept="$kept $t"; done
            things=$kept
            ;;
    esac
done

# A stopped process takes its signal only once it continues.
for t in $things; do
    case $t in /*) ;; *) kill -s "${t%:*}" -- "-${t#*:}" && kill -s CONT -- "-${t#*:}" ;; esac
done
# A dead process that nobody reaps (a container without an init) still counts as its group: look at its state.
running() {
    kill -s 0 -- "-$1" && read -r stat </proc/"$1"/stat && case ${stat##*) } in Z*) false ;; esac
}
tries=100
for t in $things; do
    case $t in
        /*) ;;
        *)
            while [ "$tries" -gt 0 ] && running "${t#*:}"; do
                tries=$((tries - 1))
                sleep 0.05
            done
            kill -s KILL -- "-${t#*:}"
            ;;
    esac
done
for t in $things; do
    # The last writers may still be dying: a folder that has just got a file is not empty.
    case $t in /*) rm -rf -- "$t" || { sleep 0.5 && rm -rf -- "$t"; } ;; esac
done
