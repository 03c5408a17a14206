# Sourced by the scripts that build programs from Go modules: programs are built once, into a cache folder outside
# the checkout.

# ready_made WHAT VARIABLE PROGRAMS: where VARIABLE names a folder with all PROGRAMS, prints it and ends the script;
# else makes sure that there is Go to build them.
ready_made() {
    eval "given=\${$2:-}"
    if [ -n "$given" ]; then
        for program in $3; do
            if [ ! -x "$given/$program" ]; then
                echo "$1: $2=$given has no program '$program'; unset it to build one here" >&2
                exit 1
            fi
        done
        echo "$given"
        exit 0
    fi
    if ! command -v go >/dev/null 2>&1; then
        echo "$1: Go is not installed. Install Go 1.26 or newer (https://go.dev/dl), or set $2 to a folder with $3." >&2
        exit 1
    fi
    export CGO_ENABLED=0
}

# build_once WHAT KEY DETAILS: prints the cache folder called KEY; if there is none yet, `build FOLDER` fills it first.
build_once() {
    root=${AMIGO_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/amigo-operator}
    folder=$root/$2
    if [ ! -e "$folder/complete" ]; then
        echo "$1: building into $folder: $3" >&2
        mkdir -p "$(dirname "$folder")"
        partial=$(mktemp -d "$(dirname "$folder")/partial.XXXXXX")
        trap 'rm -rf "$partial"' EXIT
        build "$partial" >&2
        touch "$partial/complete"
        rm -rf "$folder"
        # Another build may have finished first: its folder serves as well as ours.
        mv "$partial" "$folder" 2>/dev/null || [ -e "$folder/complete" ]
    fi
    echo "$folder"
}
