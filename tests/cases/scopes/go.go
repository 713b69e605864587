// Package queue queues.
package queue

import (
	"fmt"
)

// Queue holds items.
type Queue[T any] struct {
	items []T
}

type (
	// Reader reads.
	Reader interface{ Read() int }
	Name   = string
)

// Push adds é.
func (q *Queue[T]) Push(item T) (int, error) {
	return len(q.items), nil
}

func New[T any]() *Queue[T] { return &Queue[T]{} }

func every(a, b int, c string, _ bool, rest ...string) (n int, err error) { return 0, nil }

func unnamed(int, string) {}
