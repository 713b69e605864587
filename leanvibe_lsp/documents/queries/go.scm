(function_declaration name: (_) @name body: (_) @body) @function
(method_declaration receiver: (parameter_list (parameter_declaration type: (_) @parent)) name: (_) @name body: (_) @body) @method
(method_elem name: (_) @name) @method
(type_spec name: (_) @name type: (struct_type (field_declaration_list) @body)) @struct
(type_spec name: (_) @name type: (interface_type)) @interface
(type_spec name: (_) @name) @type
(type_alias name: (_) @name) @type
(type_declaration [(type_spec) (type_alias)] @of) @outer
(import_declaration) @import
(ERROR "func" @function . (identifier) @name) @error
(ERROR "func" @method . (parameter_list) . [(identifier) (field_identifier)] @name) @error
