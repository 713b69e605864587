package a

func whole() int { return 1 }

func half(a int) {
	if a > {
