package hint

// Edits returns how many bytes must be put in, taken out or changed to make of a
// each beginning of b: element j is for b[:j], the last for all of b. It serves
// advice on what a mistyped word stands for, and takes time with the product of
// the lengths: bound both.
func Edits(a, b string) []int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row
}
