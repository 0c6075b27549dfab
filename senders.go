package signalbox

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SenderRule says what those who send may send. Patterns are texts in which "*"
// stands for any characters, also none and "/"; upper and lower case are the same.
type SenderRule struct {
	// Subject is a pattern of who the rule is for: the subjects of services'
	// credentials, and users' references.
	Subject string
	// Recipients are patterns of canonical entity references and of direct targets,
	// as in "group:default/*" and "email:*@example.com". Nil is all; an empty list
	// is none.
	Recipients []string
	// Topics are patterns of topics. A notification without a topic only matches
	// "*". Nil is all; an empty list is none.
	Topics []string
	// MaxSeverity is the most severe that may be sent; empty does not limit.
	MaxSeverity Severity
	// Broadcast says whether notifications and signals may go to everyone. Nil: if
	// Recipients is nil.
	Broadcast *bool
	// Rate bounds how much each subject may send; zero does not.
	Rate SendRate
}

// SendRate is Count send requests per Per, of which up to Burst may come at once.
type SendRate struct {
	Count int
	Per   time.Duration
	Burst int
}

// userRecipients are whom users may send to who have no list of their own.
var userRecipients = []string{"user:*", "group:*"}

// SenderPolicy knows what each sender may send. It is read only, and so safe for
// concurrent use. Nil restricts no service.
type SenderPolicy struct {
	rules []SenderRule // folded
}

// NewSenderPolicy takes the rules in order: of those that match a subject, the first
// holds. A service that none matches may send everything, a user to users and
// groups.
func NewSenderPolicy(rules []SenderRule) (*SenderPolicy, error) {
	p := &SenderPolicy{}
	for i, rule := range rules {
		if rule.Subject == "" {
			return nil, fmt.Errorf("sender rule %d has no subject", i)
		}
		if r := rule.Rate; r != (SendRate{}) && (r.Count < 1 || r.Per <= 0 || r.Burst < 1) {
			return nil, fmt.Errorf("sender rule %d: the rate must have a count, a time and a burst", i)
		}
		for j, earlier := range p.rules {
			if matchPattern(earlier.Subject, FoldID(rule.Subject)) {
				return nil, fmt.Errorf("sender rule %d is never used: rule %d, %q, matches all of its subjects first", i, j, rules[j].Subject)
			}
		}
		rule.Subject = FoldID(rule.Subject)
		rule.Recipients, rule.Topics = folded(rule.Recipients), folded(rule.Topics)
		p.rules = append(p.rules, rule)
	}
	return p, nil
}

// folded folds patterns. Nil stays nil: it means something else than none.
func folded(patterns []string) []string {
	if patterns == nil {
		return nil
	}
	list := make([]string, len(patterns))
	for i, pattern := range patterns {
		list[i] = FoldID(pattern)
	}
	return list
}

// Of returns what a principal may send; nil is everything.
func (p *SenderPolicy) Of(principal Principal) *SenderRights {
	_, user := principal.(UserPrincipal)
	rights := SenderRights{subject: principal.Subject()}
	found := p.find(FoldID(rights.subject), &rights.rule)
	if !found && !user {
		return nil
	}
	rights.broadcast = rights.rule.Recipients == nil && !user
	if b := rights.rule.Broadcast; b != nil {
		rights.broadcast = *b
	}
	if user && rights.rule.Recipients == nil {
		rights.rule.Recipients = userRecipients
	}
	return &rights
}

func (p *SenderPolicy) find(subject string, into *SenderRule) bool {
	if p == nil {
		return false
	}
	for i := range p.rules {
		if matchPattern(p.rules[i].Subject, subject) {
			*into = p.rules[i]
			return true
		}
	}
	return false
}

// SenderRights are what one sender may send. Nil is everything.
type SenderRights struct {
	subject   string
	rule      SenderRule
	broadcast bool
}

// Subject is who the sender is; empty for nil.
func (s *SenderRights) Subject() string {
	if s == nil {
		return ""
	}
	return s.subject
}

// Rate is the sender's limit; zero is none.
func (s *SenderRights) Rate() SendRate {
	if s == nil {
		return SendRate{}
	}
	return s.rule.Rate
}

// Signal checks whom a signal goes to. The error is as those of a [Validator] with
// these rights.
func (s *SenderRights) Signal(signal *Signal) error {
	const at = "request/body/recipients"
	if signal.Broadcast {
		return s.checkBroadcast(at)
	}
	for i, ref := range signal.Recipients {
		if err := s.checkRecipient(at+"/entityRef", i, ref); err != nil {
			return err
		}
	}
	return nil
}

func (s *SenderRights) checkBroadcast(at string) error {
	if s == nil || s.broadcast {
		return nil
	}
	return s.refuse(at+"/type", "must not be broadcast: %q may not send to everyone", s.subject)
}

// checkRecipients takes recipients as they were sent, and valid, so that the error
// tells which of them it is.
func (s *SenderRights) checkRecipients(at string, refs []string, direct *DirectTargets) error {
	if s == nil || s.rule.Recipients == nil {
		return nil
	}
	for i, ref := range refs {
		canonical := ref
		if target, is, err := direct.parse(at, ref); is && err == nil {
			canonical = target.Channel + ":" + target.Address
		} else if parsed, err := NormalizeEntityRef(ref); err == nil {
			canonical = parsed
		}
		if err := s.checkRecipient(at, i, canonical); err != nil {
			return err
		}
	}
	return nil
}

func (s *SenderRights) checkRecipient(at string, index int, canonical string) error {
	if s == nil || s.rule.Recipients == nil || matchAny(s.rule.Recipients, FoldID(canonical)) {
		return nil
	}
	return s.refuse(at+"/"+strconv.Itoa(index), "must be a recipient that %q may send to: %s", s.subject, listed(s.rule.Recipients))
}

func (s *SenderRights) checkPayload(at string, p *Payload) error {
	switch {
	case s == nil:
		return nil
	case s.rule.Topics != nil && !matchAny(s.rule.Topics, FoldID(p.Topic)):
		return s.refuse(at+"/topic", "must be a topic that %q may send with: %s", s.subject, listed(s.rule.Topics))
	case s.rule.MaxSeverity != "" && p.Severity.Rank() > s.rule.MaxSeverity.Rank():
		return s.refuse(at+"/severity", "must not be more severe than %s, which is the most that %q may send", s.rule.MaxSeverity, s.subject)
	default:
		return nil
	}
}

func (*SenderRights) refuse(at, format string, args ...any) error {
	return &Error{Code: CodeNotAllowed, Message: at + " " + fmt.Sprintf(format, args...)}
}

// listed writes some patterns for a message.
func listed(patterns []string) string {
	const most = 10
	switch {
	case len(patterns) == 0:
		return "none"
	case len(patterns) > most:
		return strings.Join(patterns[:most], ", ") + ", …"
	default:
		return strings.Join(patterns, ", ")
	}
}

func matchAny(patterns []string, s string) bool {
	for _, pattern := range patterns {
		if matchPattern(pattern, s) {
			return true
		}
	}
	return false
}

// matchPattern reports whether s is a pattern's, in which "*" stands for any
// characters. Both are folded. It takes no more than len(pattern)*len(s) steps.
func matchPattern(pattern, s string) bool {
	star, resume := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p, i = p+1, i+1
		case star >= 0: // the last "*" takes one more
			resume++
			p, i = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
