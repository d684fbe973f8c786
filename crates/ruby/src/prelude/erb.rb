class ERB
  module Util
    module_function

    def html_escape(text)
      text.to_s.gsub(/[&<>"']/, "&" => "&amp;", "<" => "&lt;", ">" => "&gt;", '"' => "&quot;", "'" => "&#39;")
    end
  end

  def initialize(text, safe = nil, trim = nil, trim_mode: trim)
    @text = text
    @trim = trim_mode.to_s
  end

  def src
    out = ["__out = +''"]
    text = @text
    text = text.gsub(/^[ \t]*<%-/, "<%").gsub(/-%>\n?/, "%>") if @trim.include?("-")
    until text.empty?
      before, open, rest = text.partition("<%")
      before = before.delete_prefix("\n") if @trim.include?("<>") && out.last == "__line"
      out << "__out << #{before.dump}" unless before.empty?
      break if open.empty?
      code, close, text = rest.partition("%>")
      if code.start_with?("%")
        out << "__out << #{("<%" + code.delete_prefix("%") + close).dump}"
        next
      end
      text = text.delete_prefix("\n") if @trim.include?(">") && close == "%>"
      case code[0]
      when "=" then out << "__out << ((#{code[1..]}).to_s)"
      when "#" then next
      else out << code
      end
    end
    out << "__out"
    out.join("\n")
  end

  def result(binding = nil)
    raise ArgumentError, "ERB#result needs a binding here" unless binding
    binding.__template("(erb)", src)
  end

  def result_with_hash(hash)
    scope = binding
    hash.each { |name, value| scope.local_variable_set(name, value) }
    result(scope)
  end
end
