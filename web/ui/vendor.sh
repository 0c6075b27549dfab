#!/bin/sh
# Fetches the vendored libraries of the page and of its tests anew, at the versions
# below, with their licences. It needs npm; building and running Signalbox does not.
# Afterwards, vendor.sha256 has to be updated, which TestVendoredFilesAreUnmodified
# compares: the files are those of the packages, byte for byte.
set -eu

htm=3.1.1      # its standalone build has Preact 10 in it
preact=10.5.13 # only for its licence
axe=4.14.1

cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# take PACKAGE VERSION FILE DESTINATION
take() {
	(cd "$work" && [ -d "$1" ] || { npm pack --silent "$1@$2" >/dev/null && mkdir "$1" && tar xzf "$1-$2.tgz" -C "$1"; })
	cp "$work/$1/package/$3" "$4"
}

take htm "$htm" preact/standalone.module.js static/vendor/htm-preact.js
take htm "$htm" LICENSE static/vendor/htm-preact.LICENSE
take preact "$preact" LICENSE static/vendor/preact.LICENSE
take axe-core "$axe" axe.min.js "$root/e2e/browser/testdata/axe-core/axe.min.js"
take axe-core "$axe" LICENSE "$root/e2e/browser/testdata/axe-core/LICENSE"

cd "$root"
sha256sum web/ui/static/vendor/* e2e/browser/testdata/axe-core/* >web/ui/vendor.sha256
