#!/bin/sh
# Sees to it that everything is there that a build, the tests and the demo need. Installs by apt-get what is missing,
# as root or with sudo, after saying so; on other systems it says what to install. Does nothing, and quickly, when
# nothing is missing. Only programs are wanted: the demo and the tests run servers of their own, so no service that a
# package brings along is left running.
set -eu

PATH=$PATH:/usr/sbin:/usr/local/sbin

has() { command -v "$1" >/dev/null 2>&1; }
has_postgres() {
    for initdb in /usr/lib/postgresql/*/bin/initdb; do [ -x "$initdb" ] && return; done
    has initdb || { has pg_config && [ -x "$(pg_config --bindir)/initdb" ]; }
}
has_dovecot() {
    # Debian ships IMAP apart from Dovecot itself.
    has dovecot && for imap in /usr/lib/dovecot/imap /usr/libexec/dovecot/imap /usr/local/libexec/dovecot/imap; do
        [ -x "$imap" ] && return
    done
    return 1
}
has_openssl_headers() {
    # As the build finds them: OPENSSL_DIR if set, pkg-config otherwise.
    [ -n "${OPENSSL_DIR:-}" ] || pkg-config --exists openssl 2>/dev/null
}

# Left: what is missing, for people. Right: its Debian packages.
missing= packages=
lacks() { missing="$missing, $1" packages="$packages $2"; }
has cc || lacks 'a C compiler' 'gcc libc6-dev'
has make || lacks make make
has pkg-config || lacks pkg-config pkg-config
has_openssl_headers || lacks "OpenSSL's headers" libssl-dev
has_postgres || lacks 'PostgreSQL 14 or newer (server)' postgresql
has_dovecot || lacks 'Dovecot 2.3 or 2.4 with IMAP' dovecot-imapd
missing=${missing#, }

if ! has cargo && ! [ -x "$HOME/.cargo/bin/cargo" ]; then
    echo "Rust is missing. Install it from https://rustup.rs; the right version then comes by itself." >&2
    exit 1
fi
[ -n "$missing" ] || exit 0

if ! has apt-get; then
    echo "Missing: $missing. Please install it and try again." >&2
    exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
    has sudo || {
        echo "Missing: $missing. Please run, as root: apt-get install$packages" >&2
        exit 1
    }
    as_root=sudo
fi
echo "Missing: $missing."
echo "Installing by ${as_root:+sudo }apt-get:$packages"

# Debian's postgresql makes a cluster and starts it unless told otherwise here. The setting is ours only while apt-get
# runs; a cluster can be made at any time by pg_createcluster.
no_cluster=/etc/postgresql-common/createcluster.d/postroom-install.conf
undo() { $as_root rm -f "$no_cluster"; }
if ! has_postgres; then
    trap undo EXIT
    trap 'exit 130' INT TERM
    $as_root mkdir -p "${no_cluster%/*}"
    echo 'create_main_cluster = false' | $as_root tee "$no_cluster" >/dev/null
fi
had_dovecot=$(has dovecot && echo yes || true)

# A package source that does not answer need not be the one that has these packages.
$as_root apt-get -q update || echo 'Going on with the package lists that are here.'
# $packages is a list.
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy -o DPkg::Lock::Timeout=300 \
    install --no-install-recommends $packages

# Debian starts a Dovecot that serves the system's users. Nobody asked for that.
if [ -z "$had_dovecot" ] && has dovecot; then
    $as_root service dovecot stop >/dev/null 2>&1 || true
    $as_root update-rc.d dovecot disable >/dev/null 2>&1 || true
fi
