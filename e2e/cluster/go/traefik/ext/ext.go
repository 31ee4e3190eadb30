// Package ext stands in for the hooks of the same name, which are empty and not in Traefik's module.
package ext

// HTTP adds nothing to the dynamic configuration.
type HTTP struct{}

// Router adds nothing to a router.
type Router struct{}
