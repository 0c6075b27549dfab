package web

import (
	"net/netip"
	"strings"
	"testing"
)

func TestBehindProxies(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for header, want := range map[string]string{
		"":                                  "10.0.0.1",
		"192.0.2.7":                         "192.0.2.7",
		"203.0.113.9, 192.0.2.7":            "192.0.2.7", // the first is what the client said
		"192.0.2.7, 10.0.0.2":               "192.0.2.7",
		"203.0.113.9,192.0.2.7,10.0.0.2":    "192.0.2.7",
		"203.0.113.9, 192.0.2.7\n10.0.0.2":  "192.0.2.7", // several headers are one list
		"192.0.2.7\nfd00::2, 10.9.9.9":      "192.0.2.7",
		"10.0.0.3, 10.0.0.2":                "10.0.0.3",
		"10.0.0.3, unknown, 10.0.0.2":       "10.0.0.2",
		"192.0.2.7, ":                       "10.0.0.1",
		"_hidden":                           "10.0.0.1",
		"192.0.2.7:1234":                    "192.0.2.7",
		"[2001:db8::1]:1234":                "2001:db8::1",
		"[2001:db8::1]":                     "2001:db8::1",
		"2001:db8::1%eth0":                  "2001:db8::1",
		"::ffff:192.0.2.7, ::ffff:10.0.0.2": "192.0.2.7",
	} {
		if got := behindProxies(netip.MustParseAddr("10.0.0.1"), strings.Split(header, "\n"), trusted); got.String() != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func TestNeighbourhood(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "2001:db8:0:1:2:3:4:5": "2001:db8:0:1::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := neighbourhood(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
	if got := neighbourhood(netip.Addr{}); got != (netip.Prefix{}) {
		t.Error(got)
	}
}

func TestIsLocalHost(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost.:7080": true, "127.0.0.1": true, "127.0.0.1:80": true, "[::1]:80": true, "[::1]": true,
		"example.com": false, "localhost.example.com": false, "192.0.2.1:80": false, "": false,
	} {
		if isLocalHost(host) != want {
			t.Error(host)
		}
	}
}
