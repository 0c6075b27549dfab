package configs

import (
	"errors"
	"slices"
)

// openSections are the sections that Backstage and its plugins fill with keys of
// their own: an unknown key in them is passed over.
func openSections() []string {
	return []string{"app", "auth", "backend", "backend.auth", "discovery", "events", "notifications.processors"}
}

// backstageSections are top-level sections of Backstage's core and its common
// plugins, which are passed over.
func backstageSections() []string {
	return []string{
		"aggregator", "airbrake", "allure", "apacheAirflow", "argocd", "auditor", "azureDevOps",
		"backstage", "bazaar", "bitrise", "catalog", "circleci", "codecov", "confluence", "costInsights",
		"customHomepage", "datadog", "devTools", "dynamic", "dynamicPlugins", "dynatrace",
		"enabled", "exploreTools", "firehydrant", "fossa", "gcp", "gerrit", "github",
		"githubDeployments", "gitlab", "gitops", "gocd", "grafana", "homepage", "i18n", "ilert",
		"integrations", "jenkins", "jira", "kafka", "kiali", "kubernetes", "lighthouse", "linguist",
		"mcpActions", "metrics", "mui", "newrelic", "nomad", "octopusdeploy", "opencost", "opsgenie",
		"opentelemetry", "organization", "ocm", "orchestrator", "pagerDuty", "periskop", "permission",
		"playlist", "pluginDivisionMode", "proxy", "puppetdb", "quay", "rbac", "rollbar", "scaffolder",
		"search", "sentry", "shortcuts", "signals", "sonarqube", "splunkOnCall", "stackoverflow",
		"stackstorm", "techInsights", "techRadar", "techdocs", "tekton", "threescale", "todo",
		"userSettings", "vault", "xcmetrics",
	}
}

// signature are the sections by which a configuration is taken for Backstage's:
// then unknown top-level sections are some plugin's, and are passed over with a
// warning instead of an error.
func signature() []string {
	return []string{"catalog", "integrations", "organization", "permission", "scaffolder", "search", "techdocs"}
}

// isBackstage tells whether a configuration was written for Backstage.
func isBackstage(root *node) bool {
	return slices.ContainsFunc(signature(), func(section string) bool { return root.child(section) != nil })
}

// EventBus is Backstage's "events.useEventBus": whether signals of its plugins come
// from its events bus.
type EventBus string

// The modes of the events bus.
const (
	// EventBusAuto takes signals if there is an events backend.
	EventBusAuto EventBus = "auto"
	// EventBusAlways expects that there is one.
	EventBusAlways EventBus = "always"
	// EventBusNever takes none.
	EventBusNever EventBus = "never"
)

func asEventBus(s string) (EventBus, error) {
	switch mode := EventBus(s); mode {
	case EventBusAuto, EventBusAlways, EventBusNever:
		return mode, nil
	}
	return "", errors.New("must be one of never, always, auto")
}
