#!/bin/sh
# install_package.sh PACKAGE WITHOUT COMMAND...: install a package of the system, unless one of its commands is there, where
# that is possible without asking; otherwise say how, and what WITHOUT it is so.
package=$1 without=$2
shift 2
for command in "$@"; do
    command -v "$command" >/dev/null 2>&1 && exit 0
done
for attempt in "apt-get install -y $package" "dnf install -y $package" "pacman -S --noconfirm $package" "zypper install -y $package" "apk add $package"; do
    tool=${attempt%% *}
    command -v "$tool" >/dev/null 2>&1 || continue
    if [ "$(id -u)" = 0 ]; then
        echo "installing $package: $attempt"
        [ "$tool" = apt-get ] && apt-get update -qq
        $attempt >/dev/null && exit 0
    elif sudo -n true 2>/dev/null; then
        echo "installing $package: sudo $attempt"
        [ "$tool" = apt-get ] && sudo -n apt-get update -qq
        sudo -n $attempt >/dev/null && exit 0
    fi
    echo "$package is missing: $without. Install it with: sudo $attempt"
    exit 0
done
echo "$package is missing: $without. Install it with your system's package manager."
