; Captures: the kind of a definition (@function, @class, ...) on its node; @name or @declarator; @body; @parent, the type a
; method belongs to when it stands outside; @outer around @of, what also belongs to a definition; @import; @comment.
(function_definition name: (identifier) @name body: (_) @body) @function
(class_definition name: (identifier) @name body: (_) @body) @class
(type_alias_statement left: (type (identifier) @name)) @type
(decorated_definition definition: (_) @of) @outer
[(import_statement) (import_from_statement) (future_import_statement)] @import
(comment) @comment
