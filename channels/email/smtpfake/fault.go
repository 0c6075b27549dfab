package smtpfake

import "github.com/emersion/go-smtp"

// Stage is a step of a conversation.
type Stage string

// The stages.
const (
	Connect Stage = "connect"
	Auth    Stage = "auth"
	Mail    Stage = "mail"
	Rcpt    Stage = "rcpt"
	Data    Stage = "data"
)

// Step is what a server is asked to do.
type Step struct {
	Stage Stage
	// From and To are the addresses, as far as they are known.
	From, To string
	// Connection counts the connections from 1.
	Connection int
}

// Fault is how a server misbehaves at a step. The zero value is no fault.
type Fault struct {
	// Code, Enhanced and Text are a reply of refusal. Code 0 refuses nothing. With
	// code 421 the connection is closed after it.
	Code     int
	Enhanced [3]int
	Text     string
	// Stall never replies.
	Stall bool
	// Drop closes the connection without a reply: at [Data], in the middle of the
	// message.
	Drop bool
	// Lose, at [Data], takes the message and closes the connection without a reply.
	Lose bool
}

// Refuse is a reply of refusal.
func Refuse(code int, enhanced [3]int, text string) Fault {
	return Fault{Code: code, Enhanced: enhanced, Text: text}
}

// OnStep has f decide at every step; nil ends all faults. f is called with a lock
// held: it must not call the server.
func (s *Server) OnStep(f func(Step) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// At has the server misbehave at a stage from now on, whoever is concerned.
func (s *Server) At(stage Stage, fault Fault) {
	s.OnStep(func(step Step) Fault {
		if step.Stage == stage {
			return fault
		}
		return Fault{}
	})
}

// Times has the server misbehave only the first n times that f finds a fault.
func Times(n int, f func(Step) Fault) func(Step) Fault {
	return func(step Step) Fault {
		fault := f(step)
		if fault == (Fault{}) || n <= 0 {
			return Fault{}
		}
		n--
		return fault
	}
}

func (s *Server) at(step Step) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == nil {
		return Fault{}
	}
	return s.fault(step)
}

// meet does what a fault says, and returns the reply.
func (s *Server) meet(c *smtp.Conn, fault Fault) error {
	switch {
	case fault.Stall:
		<-s.done
		_ = c.Conn().Close()
	case fault.Drop:
		_ = c.Conn().Close()
	case fault.Code != 0:
		return &smtp.SMTPError{Code: fault.Code, EnhancedCode: fault.Enhanced, Message: fault.Text}
	}
	return nil
}
