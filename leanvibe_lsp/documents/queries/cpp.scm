(function_definition declarator: (_) @declarator body: (_) @body) @function
(declaration declarator: (function_declarator) @declarator) @function
(declaration declarator: (pointer_declarator (function_declarator)) @declarator) @function
(declaration declarator: (reference_declarator (function_declarator)) @declarator) @function
(field_declaration declarator: (function_declarator) @declarator) @function
(field_declaration declarator: (pointer_declarator (function_declarator)) @declarator) @function
(field_declaration declarator: (reference_declarator (function_declarator)) @declarator) @function
(class_specifier name: (_) @name body: (_) @body) @class
(struct_specifier name: (_) @name body: (_) @body) @struct
(union_specifier name: (_) @name body: (_) @body) @union
(enum_specifier name: (_) @name body: (_) @body) @enum
(namespace_definition name: (_) @name body: (_) @body) @namespace
(concept_definition name: (_) @name) @concept
(alias_declaration name: (_) @name) @type
(type_definition type: (struct_specifier !name body: (_) @body) declarator: (type_identifier) @name) @struct
(type_definition declarator: (type_identifier) @name) @type
(preproc_function_def name: (_) @name value: (_) @body) @macro
(template_declaration (_) @of .) @outer
(type_definition type: (_) @of) @outer
[(preproc_include) (using_declaration)] @import
(ERROR "class" @class . (type_identifier) @name) @error
(ERROR "struct" @struct . (type_identifier) @name) @error
(ERROR "namespace" @namespace . (namespace_identifier) @name) @error
