// Package strictyaml decodes configuration files into structs and refuses everything it does not understand.
//
// An unknown key, a key given twice, a value of the wrong type and a missing required key are errors that name the
// file, the line and the column, and the key that was probably meant. All of them are collected, so that one run
// shows everything that is wrong. Aliases, merge keys, explicit tags and several documents are refused: a
// configuration is plain text that can be read from top to bottom.
//
// Fields are named by `yaml:"name"`; `yaml:"name,required"` makes a key required. Supported are string, bool,
// integers, floats, time.Duration ("1s", "7d12h"), Bytes ("20GiB"), encoding.TextUnmarshaler, structs, slices,
// maps with string keys, and pointers to these. What the file does not mention keeps its value, so that defaults
// may be set before decoding; a slice in the file replaces the default, a map entry is decoded over it.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Pos is a place in a file; lines and columns count from 1. A zero Pos is "the file as a whole".
type Pos struct{ Line, Col int }

// Positions says where in the file each value stands: paths look like sources[2].interval.
type Positions struct {
	File string
	at   map[string]Pos
}

// At is the place of the path, or of the nearest parent that the file mentions.
func (p *Positions) At(path string) Pos {
	for p != nil {
		if pos, ok := p.at[path]; ok {
			return pos
		}
		if path == "" {
			break
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return Pos{}
}

// Has reports whether the file itself gives the path a value.
func (p *Positions) Has(path string) bool {
	if p == nil {
		return false
	}
	_, ok := p.at[path]
	return ok
}

// Decode reads data into out, a pointer to a struct. The error is an *Error with every problem found.
func Decode(file string, data []byte, out any) error {
	_, err := DecodePos(file, data, out)
	return err
}

// DecodePos is Decode that also tells where each value stands, for the checks that follow. Positions are returned
// with an error too; out then holds what could be decoded.
func DecodePos(file string, data []byte, out any) (*Positions, error) {
	v := reflect.ValueOf(out)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic("strictyaml: out must be a pointer to a struct")
	}
	d := &decoder{Report: Report{pos: &Positions{File: file, at: map[string]Pos{}}}}
	if root := d.parse(data); root != nil {
		d.value(root, v.Elem(), "")
	} else if len(d.problems) == 0 {
		d.structFields(&yaml.Node{Kind: yaml.MappingNode, Line: 1, Column: 1}, v.Elem(), "")
	}
	return d.pos, d.Err()
}

type decoder struct{ Report }

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// parse returns the root of the only document, nil for an empty file or after a problem.
func (d *decoder) parse(data []byte) *yaml.Node {
	if len(data) > MaxFileBytes {
		d.add(Pos{}, "", fmt.Sprintf("the file has %d bytes, at most %d are read", len(data), MaxFileBytes))
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		d.syntax(data, err)
		return nil
	}
	if err := dec.Decode(&second); err == nil {
		d.add(Pos{second.Line, second.Column}, "", "a second document begins here; a configuration is one document")
		return nil
	} else if !errors.Is(err, io.EOF) {
		d.syntax(data, err)
		return nil
	}
	root := &doc
	if doc.Kind == yaml.DocumentNode {
		if len(doc.Content) != 1 {
			return nil
		}
		root = doc.Content[0]
	}
	if isNull(root) {
		return nil
	}
	return root
}

func (d *decoder) syntax(data []byte, err error) {
	text := err.Error()
	m := yamlLine.FindStringSubmatch(text)
	pos := Pos{Line: 1} // the parser leaves line 1 out
	if m != nil {
		text = text[len(m[0]):]
		if line, err := strconv.Atoi(m[1]); err == nil {
			pos.Line = line
		}
	}
	switch line := lineOf(data, pos.Line); {
	case strings.Contains(text, "cannot start any token") && strings.HasPrefix(strings.TrimLeft(line, " -"), "\t"):
		text = "a tab stands here; YAML is indented with blanks only"
	case strings.Contains(text, "unexpected end of stream"):
		text = "a quotation mark that was opened is not closed before the file ends"
	}
	d.add(pos, "", "not valid YAML: "+text)
}

// lineOf is a line by its number, which counts from 1.
func lineOf(data []byte, n int) string {
	lines := bytes.Split(data, []byte{'\n'})
	if n < 1 || n > len(lines) {
		return ""
	}
	return string(lines[n-1])
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// value decodes one node into v and records where it stands.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	if _, ok := d.pos.at[path]; !ok || n.Kind == yaml.ScalarNode && !isNull(n) {
		d.pos.at[path] = Pos{n.Line, n.Column}
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.at(n, path, "anchors and aliases (& and *) are not used in configuration files; write the value out")
		return
	}
	if n.Style&yaml.TaggedStyle != 0 {
		d.at(n, path, fmt.Sprintf("tags such as %s are not used in configuration files", n.Tag))
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	if d.text(n, v, path) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if d.want(n, yaml.MappingNode, path, "keys with values") {
			d.structFields(n, v, path)
		}
	case reflect.Map:
		if d.want(n, yaml.MappingNode, path, "keys with values") {
			d.mapEntries(n, v, path)
		}
	case reflect.Slice:
		if d.want(n, yaml.SequenceNode, path, "a list") {
			d.list(n, v, path)
		}
	default:
		d.scalar(n, v, path)
	}
}

// want reports whether the node has the kind. An empty value is an empty mapping or list.
func (d *decoder) want(n *yaml.Node, kind yaml.Kind, path, what string) bool {
	if n.Kind == kind || isNull(n) {
		return true
	}
	d.at(n, path, fmt.Sprintf("%s wants %s, not %s", quotePath(path), what, describe(n)))
	return false
}

// keys walks the mapping's pairs, refusing what is not a plain key and what comes twice.
func (d *decoder) keys(n *yaml.Node, path string, each func(key, val *yaml.Node)) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		switch {
		case k.Kind != yaml.ScalarNode || k.ShortTag() == "!!merge" || k.Style&yaml.TaggedStyle != 0 || k.Anchor != "":
			d.at(k, path, "a key must be a plain word"+in(path))
		case seen[k.Value] != 0:
			d.at(k, join(path, k.Value), fmt.Sprintf("key %q is given twice%s; the first is in line %d", k.Value, in(path), seen[k.Value]))
		default:
			seen[k.Value] = k.Line
			each(k, val)
		}
	}
}

func (d *decoder) structFields(n *yaml.Node, v reflect.Value, path string) {
	fields, names := fieldsOf(v.Type())
	seen := map[string]bool{}
	d.keys(n, path, func(k, val *yaml.Node) {
		f, ok := fields[k.Value]
		if !ok {
			d.at(k, join(path, k.Value), fmt.Sprintf("unknown key %q%s%s", k.Value, in(path), Suggest(k.Value, names)))
			return
		}
		seen[k.Value] = true
		sub := join(path, k.Value)
		d.pos.at[sub] = Pos{k.Line, k.Column}
		d.value(val, v.Field(f.index), sub)
	})
	for _, name := range names {
		if fields[name].required && !seen[name] {
			d.at(n, join(path, name), fmt.Sprintf("key %q is missing%s", name, in(path)))
		}
	}
}

func (d *decoder) mapEntries(n *yaml.Node, v reflect.Value, path string) {
	if v.Type().Key().Kind() != reflect.String {
		panic("strictyaml: map keys must be strings")
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	d.keys(n, path, func(k, val *yaml.Node) {
		key := reflect.ValueOf(k.Value).Convert(v.Type().Key())
		elem := reflect.New(v.Type().Elem()).Elem()
		if old := v.MapIndex(key); old.IsValid() {
			elem.Set(old)
		}
		sub := join(path, k.Value)
		d.pos.at[sub] = Pos{k.Line, k.Column}
		d.value(val, elem, sub)
		v.SetMapIndex(key, elem)
	})
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if isNull(n) {
		v.SetZero()
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(item, out.Index(i), path+"["+strconv.Itoa(i)+"]")
	}
	v.Set(out)
}

type field struct {
	index    int
	required bool
}

// fieldsOf lists the fields by their key, and the keys in the order of the struct.
func fieldsOf(t reflect.Type) (map[string]field, []string) {
	fields := make(map[string]field, t.NumField())
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, opt, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || name == "" || name == "-" {
			continue
		}
		fields[name] = field{index: i, required: opt == "required"}
		names = append(names, name)
	}
	return fields, names
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

func quotePath(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}
