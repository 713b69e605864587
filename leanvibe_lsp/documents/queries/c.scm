(function_definition declarator: (_) @declarator body: (_) @body) @function
(declaration declarator: (function_declarator) @declarator) @function
(declaration declarator: (pointer_declarator (function_declarator)) @declarator) @function
(struct_specifier name: (_) @name body: (_) @body) @struct
(union_specifier name: (_) @name body: (_) @body) @union
(enum_specifier name: (_) @name body: (_) @body) @enum
(type_definition type: (struct_specifier !name body: (_) @body) declarator: (type_identifier) @name) @struct
(type_definition type: (union_specifier !name body: (_) @body) declarator: (type_identifier) @name) @union
(type_definition type: (enum_specifier !name body: (_) @body) declarator: (type_identifier) @name) @enum
(type_definition declarator: (type_identifier) @name) @type
(preproc_function_def name: (_) @name value: (_) @body) @macro
(type_definition type: (_) @of) @outer
(preproc_include) @import
