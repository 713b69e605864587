(class_declaration name: (_) @name body: (_) @body) @class
(interface_declaration name: (_) @name body: (_) @body) @interface
(trait_declaration name: (_) @name body: (_) @body) @trait
(enum_declaration name: (_) @name body: (_) @body) @enum
(namespace_definition name: (_) @name body: (_) @body) @namespace
(method_declaration name: (_) @name body: (_) @body) @method
(method_declaration name: (_) @name) @method
(function_definition name: (_) @name body: (_) @body) @function
(namespace_use_declaration) @import
(expression_statement [(require_expression) (require_once_expression) (include_expression) (include_once_expression)]) @import
(ERROR "class" @class . (name) @name) @error
(ERROR "function" @function . (name) @name) @error
