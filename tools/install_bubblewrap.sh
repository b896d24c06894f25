#!/bin/sh
# Generated programs run inside bubblewrap. Install it where that is possible without asking; otherwise say how.
command -v bwrap >/dev/null 2>&1 && exit 0
for attempt in "apt-get install -y bubblewrap" "dnf install -y bubblewrap" "pacman -S --noconfirm bubblewrap" "zypper install -y bubblewrap" "apk add bubblewrap"; do
    tool=${attempt%% *}
    command -v "$tool" >/dev/null 2>&1 || continue
    if [ "$(id -u)" = 0 ]; then
        echo "installing bubblewrap: $attempt"
        [ "$tool" = apt-get ] && apt-get update -qq
        $attempt >/dev/null && exit 0
    elif sudo -n true 2>/dev/null; then
        echo "installing bubblewrap: sudo $attempt"
        [ "$tool" = apt-get ] && sudo -n apt-get update -qq
        sudo -n $attempt >/dev/null && exit 0
    fi
    echo "bubblewrap is missing: generated programs can't be run safely. Install it with: sudo $attempt"
    exit 0
done
echo "bubblewrap is missing: generated programs can't be run safely. Install it with your system's package manager."
