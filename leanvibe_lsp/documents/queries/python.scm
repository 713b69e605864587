; Captures: the kind of a definition (@function, @class, ...) on its node; @name or @declarator; @body; @parent, the type a
; method belongs to when it stands outside; @outer around @of, what also belongs to a definition; @import;
; @error around a kind on a keyword, where broken code left only the header of a definition.
(function_definition name: (identifier) @name body: (_) @body) @function
(class_definition name: (identifier) @name body: (_) @body) @class
(type_alias_statement left: (type (identifier) @name)) @type
(decorated_definition definition: (_) @of) @outer
[(import_statement) (import_from_statement) (future_import_statement)] @import
(ERROR "def" @function . (identifier) @name) @error
(ERROR "class" @class . (identifier) @name) @error
